"""The scenarios: each starts a server (or uses one), drives a :class:`~bench.fleet.Fleet` and returns a finished run.

``chat`` pairs at a rate or at saturation, history pages · ``sessions`` logins, idle memory · ``group`` one group ·
``school`` a mixed day · ``pi4000`` the seed's published test · ``pi`` the same within the limits of a Raspberry Pi, and the most
that fits · ``rest`` calls that read · ``soak`` hours at one rate ·
``reconnect`` everybody at once, while some chat · ``disk`` a lone message by the disk's sync time · ``tls`` plain
and TLS in turns · ``budgets`` all that has a budget
"""

from bench.scenarios.chat import chat, history
from bench.scenarios.group import group
from bench.scenarios.pi import pi
from bench.scenarios.pi4000 import pi4000
from bench.scenarios.reconnect import reconnect
from bench.scenarios.rest import rest
from bench.scenarios.school import mixed
from bench.scenarios.sessions import idle, login
from bench.scenarios.soak import soak

__all__ = ["chat", "group", "history", "idle", "login", "mixed", "pi", "pi4000", "reconnect", "rest", "soak"]
