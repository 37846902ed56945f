"""Environment variables of libraries; a variable that is set already stays as it is."""

import os
import sys

NUMERIC_LIBRARIES = {
    "OMP_WAIT_POLICY": "passive",  # threads that spin while they wait take a shared machine's cores
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow would log the processor's instructions
    "TF_ENABLE_ONEDNN_OPTS": "0",  # TensorFlow's sums would depend on the kind of processor
}


def configure_numeric_libraries() -> None:
    """Set the variables of NUMERIC_LIBRARIES; call it before these libraries are loaded."""
    for name, value in NUMERIC_LIBRARIES.items():
        os.environ.setdefault(name, value)


def configure_spark() -> None:
    """Let executors run this Python interpreter, which has the libraries they need."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
