"""Examples: programs that use contextkit as yours would."""
