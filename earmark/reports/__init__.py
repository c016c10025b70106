"""Pages made of a run's files. Needs the extra `report`."""

from importlib.util import find_spec

from earmark.errors import InputError

_MISSING = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
if _MISSING:
    raise InputError(f"reports need {' and '.join(_MISSING)}; pip install 'earmark[report]'")
