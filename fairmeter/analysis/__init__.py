"""Facts about clients and transformers that need no model."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairmeter.analysis.client_facts import consumption_series
    from fairmeter.analysis.energy_balance import EnergyBalances, energy_balances
    from fairmeter.analysis.invoice_checks import check_invoices
    from fairmeter.analysis.peer_consumption import consumption_bands

_MODULES = {
    "EnergyBalances": "energy_balance",
    "check_invoices": "invoice_checks",
    "consumption_bands": "peer_consumption",
    "consumption_series": "client_facts",
    "energy_balances": "energy_balance",
}
__all__ = ["EnergyBalances", "check_invoices", "consumption_bands", "consumption_series", "energy_balances"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the store needs peer_consumption without the features that energy_balance imports.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
