"""`pq up` with stand-ins for services: python up_stand_ins.py HOME LISTEN FOLDER."""

import sys
from pathlib import Path

from libs.local import postgres, supervisor
from libs.local.child import Program
from libs.local.layout import Wiring, module
from libs.local.up import Options, up

STAND_IN = Path(__file__).with_name("stand_in.py")
home, listen, folder = sys.argv[1:4]
postgres.SETTINGS.update(postgres.FORGETFUL)
supervisor.GRACE = 1.0
supervisor.LEFT_BEHIND_GRACE = 1.0
supervisor.READY_TIMEOUT = 20.0


def program(self, service):
    command = [sys.executable, str(STAND_IN), folder, module(service)]
    return Program(service, command, self.environment(service), self.home.log(service))


async def ready(wiring):
    print("ready", wiring.gateway_url, flush=True)


Wiring.program = program
sys.exit(up(Options(Path(home), listen, "", lambda: "a token", ready)))
