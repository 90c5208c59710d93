"""FHIR R4 vocabulary: code systems and the consent importer."""
