"""Kafka: the change stream read from Debezium's topics, and the sink that repair and drift events go to.

Two clients, confluent-kafka (the default) and kafka-python, stand behind one small port (`connectors.kafka.port`),
so that everything which can go wrong in a stream is thought about once.
"""
