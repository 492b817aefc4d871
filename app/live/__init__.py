"""The streams of help sessions: held open by the thousand, which the threads of the WSGI server cannot do."""
