"""Embedding. onnxruntime is told here, before anything imports it, to send no telemetry.

Since 1.29 it does so on Linux by default: a thread, three open files and a database in the home
directory (https://github.com/microsoft/onnxruntime/pull/27379).
"""

from src.config import set_for_library

set_for_library("ORT_DISABLE_TELEMETRY", "1")
