"""The service: `gunicorn --bind 0.0.0.0:9696 predict:app`. JSON -> tables -> features -> score -> JSON.

In:  settings from the environment (docs/configuration.md) and model.bin.
Out: `app`. A bad setting or an unreadable model stops the start with one sentence.
"""

from fairmeter.cli.serve import build_app, settings_or_exit
from fairmeter.core import memory

settings = settings_or_exit()
app = build_app(settings)
memory.settle()
