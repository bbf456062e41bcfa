"""Match files of orders: read them in batches, ask the engine, write the answers in the same order."""
