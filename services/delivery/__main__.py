"""Runs delivery."""

from libs.runtime import run
from services.delivery.app import build
from services.delivery.config import Config

run(build, Config)
