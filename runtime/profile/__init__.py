"""Where the time goes: stages, engines and their layers."""
