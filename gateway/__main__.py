"""python -m gateway"""

from gateway.app import build
from gateway.config import Config
from libs.runtime import run

if __name__ == "__main__":
    run(build, Config)
