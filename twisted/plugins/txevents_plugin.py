# Import nothing but ServiceMaker here: `twistd` loads every plugin before it chooses a reactor.
# There is no __init__.py beside this file or above it, or the plugin would not be found.
from twisted.application.service import ServiceMaker

txevents = ServiceMaker(
    "txevents",
    "txevents.tap",
    "Take events from the network (HTTP, TCP) to Python handlers.",
    "events",
)
