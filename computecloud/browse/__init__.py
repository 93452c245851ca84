"""The tenant's browser: pages over the APIs, which they ask in this process as any client with a token does."""
