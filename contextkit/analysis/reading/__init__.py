"""Reading: files, formats and logs, as requests and conversations in OpenAI's form."""
