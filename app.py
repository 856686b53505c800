"""The WSGI object that gunicorn serves."""

from src.app_factory import create_app

app = create_app()
