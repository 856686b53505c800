"""How gunicorn serves the app: one worker with threads. Comments give the reason for what is not gunicorn's default."""

import logging
import sys

from src.config import Config
from src.errors import ConfigError
from src.memory.memory_probe import MemoryProbe
from src.memory.worker_recycling import get_recycling

try:
    settings = Config.from_env()
except ConfigError as exc:
    sys.exit(f"rag512 cannot start: {exc}")

# This project's log lines in gunicorn's format; gunicorn sets up only its own loggers.
log = logging.getLogger("src")
if not log.handlers:
    handler = logging.StreamHandler()
    form = "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"
    handler.setFormatter(logging.Formatter(form, "%Y-%m-%d %H:%M:%S %z"))
    log.addHandler(handler)
log.setLevel(settings.log_level)

recycling = get_recycling()
recycling.configure(settings.max_requests, settings.max_requests_jitter, MemoryProbe(settings.memory_limit_mb))

# A laptop is not open to its network; a host that must be passes --bind, as render.yaml does.
bind = f"127.0.0.1:{settings.port}"
workers = 1
# A successor is forked with the app imported, which halves the CPU of a hand-over.
preload_app = True
worker_class = "gthread"
threads = settings.gunicorn_threads
# A tenth of a CPU can starve the heartbeat for a while.
timeout = 60
# A retired worker finishes its chats, the slowest of which waits for an LLM.
graceful_timeout = settings.llm_timeout_s + 15
# Longer than proxies keep an idle connection, so that they close it first and no request meets a closed one.
keepalive = 120
# A thread and 2 MB for a socket that nobody here uses.
control_socket_disable = True
# GET /search takes 500 characters of any script.
limit_request_line = 8190
loglevel = settings.log_level.lower()
# Before numpy is imported: a pool of threads for matrices of one row costs memory and gains nothing.
raw_env = ["OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "TOKENIZERS_PARALLELISM=false"]

# Hand-over replaces the worker without a gap. gunicorn's own count, which leaves one and which a successor that cannot
# load would not survive, stays far behind it; only answered chats count there too.
max_requests = 100 * (settings.max_requests + settings.max_requests_jitter) if settings.max_requests else 0
max_requests_jitter = settings.max_requests_jitter
when_ready = recycling.when_ready
nworkers_changed = recycling.handover.nworkers_changed
pre_fork = recycling.handover.pre_fork
child_exit = recycling.handover.child_exit
post_worker_init = recycling.post_worker_init
pre_request = recycling.pre_request
post_request = recycling.post_request
worker_exit = recycling.worker_exit
