"""Runs alerts: python -m services.alerts."""

from libs.runtime import run
from services.alerts.app import build
from services.alerts.config import Config

run(build, Config)
