"""Tables -> one row of features per client; the public names of fairmeter/features.

In:  canonical tables of clients and invoices (data/README.md, 'Input tables').
Out: `client_features(clients, invoices)`, the registered FEATURES, and their names in the order of model.bin.
"""

from fairmeter.features.invoices.matrix import EVIDENCE_GROUPS, FEATURE_NAMES, FEATURES, client_features

__all__ = ["EVIDENCE_GROUPS", "FEATURES", "FEATURE_NAMES", "client_features"]
