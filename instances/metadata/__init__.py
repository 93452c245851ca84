"""What a guest is told of itself: the documents, the config drive that carries them, and the service that answers."""
