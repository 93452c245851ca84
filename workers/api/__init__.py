"""Operations over HTTP: our own small API, for tenants and operators."""
