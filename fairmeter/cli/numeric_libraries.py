"""Environment variables of the numeric libraries; a variable that is set already stays as it is."""

import os

VARIABLES = {
    "OMP_WAIT_POLICY": "passive",  # threads that spin while they wait take a shared machine's cores
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow would log the processor's instructions
    "TF_ENABLE_ONEDNN_OPTS": "0",  # TensorFlow's sums would depend on the kind of processor
}


def configure_numeric_libraries() -> None:
    """Set the variables; call it before a library that reads them is loaded."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
