"""Live control: the tick of the replay between real streams and a journal."""
