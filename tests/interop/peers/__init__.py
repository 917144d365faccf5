"""Real peers for tests: fetched by Maven into the build folder, started and stopped by the tests."""
