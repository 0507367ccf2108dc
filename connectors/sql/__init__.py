"""What the engines that are spoken to in SQL share: no driver, and no engine's own SQL."""
