"""Tables -> one row of features per client; the public names of fairmeter/features.

    python features.py                list all features: table, name, evidence group, unit, sentence
    python features.py --markdown     the same as docs/features.md

In:  canonical tables of clients and invoices (data/README.md, 'Input tables').
Out: `client_features(clients, invoices)`, the registered FEATURES, and their names in the order of model.bin.
"""

from fairmeter.features.invoices.matrix import EVIDENCE_GROUPS, FEATURE_NAMES, FEATURES, client_features

__all__ = ["EVIDENCE_GROUPS", "FEATURES", "FEATURE_NAMES", "client_features"]


def main() -> None:
    import argparse

    from fairmeter.features.catalogue import markdown_lines, text_lines

    parser = argparse.ArgumentParser(description="List all features: table, name, evidence group, unit, sentence.")
    parser.add_argument("--markdown", action="store_true", help="print the page docs/features.md")
    print(*(markdown_lines() if parser.parse_args().markdown else text_lines()), sep="\n")


if __name__ == "__main__":
    main()
