"""serin: a model server with a built-in canary.

- `export`: writes a trained model for serin, and compares the answers.
- `Server`: a server for a notebook, a workshop or a test. `Client`: talks to any server.
- `serin.testing`: a fixture of pytest, traffic and assertions.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version

from .answers import Analysis
from .answers import Effect
from .answers import Ended
from .answers import Entry
from .answers import Feedback
from .answers import Health
from .answers import Model
from .answers import Prediction
from .answers import Report
from .answers import Status
from .answers import Verdict
from .answers import Version
from .client import Client
from .errors import ApprovalNeededError
from .errors import BinaryError
from .errors import ExportError
from .errors import NoAnswerError
from .errors import ProblemError
from .errors import SerinError
from .errors import ServerError
from .errors import WaitTimeoutError
from .export import Exported
from .export import export
from .server import Server
from .traffic import Traffic

try:
    __version__ = version("serin")
except PackageNotFoundError:
    # The sources of a checkout.
    __version__ = "unknown"

__all__ = [
    "Analysis",
    "ApprovalNeededError",
    "BinaryError",
    "Client",
    "Effect",
    "Ended",
    "Entry",
    "ExportError",
    "Exported",
    "Feedback",
    "Health",
    "Model",
    "NoAnswerError",
    "Prediction",
    "ProblemError",
    "Report",
    "SerinError",
    "Server",
    "ServerError",
    "Status",
    "Traffic",
    "Verdict",
    "Version",
    "WaitTimeoutError",
    "__version__",
    "export",
]
