"""How gunicorn serves the app: workers with threads. A comment says why a setting is not gunicorn's default."""

import logging
import sys

from gunicorn.glogging import Logger

from src.config import Config
from src.errors import ConfigError
from src.memory.memory_probe import MemoryProbe
from src.memory.thresholds import needed_mb, workers_with_room
from src.memory.worker_recycling import get_recycling

try:
    settings = Config.from_env()
except ConfigError as exc:
    sys.exit(f"The server cannot start: {exc}")

# This project's log lines in gunicorn's format; gunicorn sets up only its own loggers.
log, access_log = logging.getLogger("src"), logging.getLogger("gunicorn.access")
if not log.handlers:
    handler = logging.StreamHandler()
    name = settings.app_name.replace("%", "%%")
    form = f"[%(asctime)s] [%(process)d] [%(levelname)s] {name}: %(message)s"
    handler.setFormatter(logging.Formatter(form, "%Y-%m-%d %H:%M:%S %z"))
    log.addHandler(handler)
    access_log.addHandler(handler)
log.setLevel(settings.log_level)


class RequestLogger(Logger):  # type: ignore[misc]
    """Writes a line for each request, without questions, answers, keys and addresses, where all other lines go."""

    access_log_enabled = settings.access_log == "on"


probe = MemoryProbe(settings.memory_limit_mb)
recycling = get_recycling()
recycling.configure(settings.max_requests, settings.max_requests_jitter, probe)

# On a laptop, only this machine may connect. A host that must be reached passes --bind, as render.yaml does.
bind = f"127.0.0.1:{settings.port}"
# Some hosts set WEB_CONCURRENCY by the CPUs that they see, so too many of them must not stop the start.
workers = workers_with_room(settings.web_concurrency, probe.limit_mb)
if workers < settings.web_concurrency:
    wanted = f"WEB_CONCURRENCY={settings.web_concurrency} needs {needed_mb(settings.web_concurrency):.0f} MB"
    cure = "Raise MEMORY_LIMIT_MB with the plan, or lower WEB_CONCURRENCY."
    log.error("%s, and %.0f are here: %d started. %s", wanted, probe.limit_mb, workers, cure)
# A successor is forked with the app imported, which halves the CPU of a hand-over.
preload_app = True
# Chats wait for an LLM in threads, and /health waits for no chat.
# The class is gthread with bounds on what a stranger can hold.
worker_class = "src.server.worker.BoundedWorker"
# Each write is then seen by the bounds.
sendfile = False
threads = settings.gunicorn_threads
# With a tenth of a CPU a worker can be late with its sign of life.
timeout = 60
# A retired worker finishes its chats. The slowest of them waits for an LLM.
graceful_timeout = settings.llm_timeout_s + 15
# Proxies keep an idle connection for less. So they close it first, and no request meets a closed connection.
keepalive = 120
# Nobody here uses this socket; it costs a thread and 2 MB.
control_socket_disable = True
# GET /search takes 500 characters of any script, each up to 12 bytes in a URL.
limit_request_line = 8190
loglevel = settings.log_level.lower()
logger_class = RequestLogger
# The app sets what begins with "rag512.".
access_log_format = (
    "%(m)s %({rag512.route}e)s %(s)s: %(M)s ms, %(B)s bytes, "
    "answered_by=%({rag512.answered_by}e)s, mode=%({rag512.mode}e)s, request_id=%({x-request-id}o)s"
)
# Set before numpy is imported: a pool of threads costs memory, and gains nothing for matrices of one row.
raw_env = ["OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "TOKENIZERS_PARALLELISM=false"]

# The hooks below replace a worker without a gap. gunicorn's own count leaves a gap, and would end an elder whose
# successors cannot load; so it is only a backstop, at 100 times as many answered chats.
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
