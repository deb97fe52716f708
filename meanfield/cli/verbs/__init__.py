"""The verbs, a module each: ``phase_diagram.py`` holds the function of ``meanfield phase-diagram``."""
