"""python -m services.market"""

from libs.runtime import run
from services.market.app import build
from services.market.config import Config

run(build, Config)
