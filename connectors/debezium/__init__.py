"""Debezium's change events: what they say, which transactions they make, and the connector that sends them.

Pure but for the Connect client: decoding and assembling take bytes and return values, so that recorded events,
simulated interleavings and a real Kafka all go through the same code.
"""
