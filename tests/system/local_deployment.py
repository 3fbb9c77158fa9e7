"""Airflow on SQLite with tasks as children of the scheduler."""

from __future__ import annotations

from tests.system.deployment import Deployment


class LocalDeployment(Deployment):
    """Airflow on SQLite with the LocalExecutor."""

    def settings(self) -> dict[str, str]:
        """Return database and executor."""
        return {
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db",
        }
