"""Write a simulated utility to a zip, or as an export in a layout of its own to try maps on.

    python -m fairmeter.cli.simulate --clients 2000 --seed 1 --out data/sample.zip
    python -m fairmeter.cli.simulate --clients 800 --export my/export

Exit codes: 0 done, 2 an option or a place to write cannot be used (one sentence on stderr).
"""

import argparse
import sys
from pathlib import Path

from fairmeter.simulation.foreign_export import write_export
from fairmeter.simulation.utility import FRAUD_RATE, Utility, simulate_utility, write_zip

COUNTED_TABLES = ("clients", "invoices", "readings", "thefts", "harmless")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fairmeter.cli.simulate", description="Write a simulated utility to a zip."
    )
    parser.add_argument("--clients", type=int, default=2000, help="number of clients (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal bytes (default: %(default)s)")
    parser.add_argument("--fraud-rate", type=float, default=FRAUD_RATE, help="share of clients caught and labelled")
    parser.add_argument("--out", type=Path, default=Path("data/sample.zip"), help="the zip (default: %(default)s)")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write files in a layout of their own instead")
    options = parser.parse_args(arguments)
    try:
        if options.export:
            paths = write_export(options.export, options.clients, options.seed)
            print(f"{options.export}: {len(paths)} files of {options.clients:,} clients, {paths[0].name} among them.")
            return 0
        utility = simulate_utility(options.clients, options.seed, options.fraud_rate)
        write_zip(options.out, *utility)
    except ModuleNotFoundError as error:
        print(f"Nothing written: {error}. Run `make install` for the libraries that write files.", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"Nothing written: {error}", file=sys.stderr)
        return 2
    counts = {name: len(next(iter(table.values()))) for name, table in zip(Utility._fields, utility, strict=True)}
    print(f"{options.out}: {', '.join(f'{n:,} {name}' for name, n in counts.items() if name in COUNTED_TABLES)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
