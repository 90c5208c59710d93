"""The FHIR R4 facade: what the ledger says, in the words of hospital systems, at ``/fhir``."""
