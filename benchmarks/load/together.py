"""Processor time of the worker for each request, by the number of connections: clients that wait are judged together.

    python -m benchmarks.load.together [--seconds 4]

In:  model.bin (or MODEL_PATH), simulated clients with N_INVOICES invoices.
Out: a table. Every connection sends its next request as soon as it is answered; the ratio is that to one connection.
Exit codes: 0 done, 2 the service did not start or answered an error (one sentence on stderr), 130 stopped by Ctrl-C.
"""

import argparse
import sys
from functools import partial
from itertools import islice
from threading import Thread
from time import perf_counter

import psutil

from benchmarks.helpers.bodies import as_json, bodies_of, requests_of, with_invoices
from benchmarks.helpers.commands import exit_code
from benchmarks.helpers.servers import BadAnswer, Connection, DidNotStart, Server, posted, served
from benchmarks.speed.bench import MODEL_PATH, N_INVOICES, N_SIMULATED, SEED, SERVICE
from fairmeter.simulation.utility import simulate

CONNECTIONS = (1, 8, 32)


def main() -> int:
    parser = argparse.ArgumentParser(prog="together.py", description="Processor time by the number of connections.")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each row (4)")
    return exit_code(partial(run, parser.parse_args().seconds), DidNotStart, BadAnswer)


def run(seconds: float) -> None:
    """Ask the service, and print a row for each number of connections."""
    clients, invoices, _ = simulate(N_SIMULATED, SEED)
    bodies = with_invoices(bodies_of(clients, invoices), N_INVOICES)
    kinds = {"without reasons": requests_of(bodies), "with reasons": [posted("/predict", as_json(b)) for b in bodies]}
    with served(SERVICE, MODEL_PATH=str(MODEL_PATH), LOG_LEVEL="WARNING") as server:
        print("| | connections | requests/s | worker, ms of processor time a request | ratio |\n|---|---|---|---|---|")
        for kind, requests in kinds.items():
            asked(server, requests, 1, 1.0)  # so that everything is loaded
            alone = 0.0
            for n in CONNECTIONS:
                rate, took = asked(server, requests, n, seconds)
                alone = alone or took
                print(f"| {kind} | {n} | {rate:.0f} | {1e3 * took:.2f} | {took / alone:.2f} |", flush=True)


def asked(server: Server, requests: list[bytes], n_connections: int, seconds: float) -> tuple[float, float]:
    """(requests a second, the worker's processor time for each [seconds])"""
    [worker] = psutil.Process(server.pid).children()
    started, before, done = perf_counter(), processor_time(worker), [0] * n_connections

    def one(number: int) -> None:
        with Connection(server.port) as connection:
            for request in islice(requests * 1000, number, None):
                if perf_counter() - started > seconds:
                    return
                connection.ask(request)
                done[number] += 1

    threads = [Thread(target=one, args=(number,)) for number in range(n_connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    n = max(sum(done), 1)
    return n / (perf_counter() - started), (processor_time(worker) - before) / n


def processor_time(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


if __name__ == "__main__":
    sys.exit(main())
