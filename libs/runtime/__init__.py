"""What runs a service: `run(build, Config)` in its `__main__`, and the `Runtime` it builds with."""

from libs.runtime.config import ServiceConfig
from libs.runtime.process import run
from libs.runtime.runtime import Runtime

__all__ = ["Runtime", "ServiceConfig", "run"]
