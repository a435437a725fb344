"""The ports on Kafka, over aiokafka."""
