"""The ARM API in Python: clients, models, errors. Knows nothing of Airflow.

Importing this package loads nothing heavy: the clients are loaded when they are first asked for.
"""

from __future__ import annotations
