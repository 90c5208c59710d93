"""The main job on one machine: a consortium of real processes, with real FHIR resources."""
