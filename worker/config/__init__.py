"""The options of the worker: what there is, what is allowed, and how they are read."""

from worker.config.load import ConfigError, load, topic_variables, warnings
from worker.config.options import Config, Kafka, Secret, State

__all__ = ["Config", "ConfigError", "Kafka", "Secret", "State", "load", "topic_variables", "warnings"]
