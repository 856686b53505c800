"""Tells a person's browser from a program, and gives the person errors as pages."""

from flask import Response, make_response, render_template, request

ERROR_TITLES = {
    401: "A key is needed",
    404: "Not here",
    405: "Not here",
    429: "A moment, please",
    500: "Something failed",
    503: "Not available right now",
}


def prefers_html() -> bool:
    """Tell whether the caller asks for HTML before JSON; `*/*`, as curl sends it, means JSON."""
    accepted = request.accept_mimetypes
    return accepted.quality("text/html") > accepted.quality("application/json")


def render_error_for_people(response: Response) -> Response:
    """Turn the JSON of an error into a page where a browser asked for one; status and headers stay."""
    if response.status_code < 400 or request.method not in ("GET", "HEAD") or not prefers_html():
        return response
    body = response.get_json(silent=True)
    if not isinstance(body, dict) or "error" not in body:
        return response
    status = response.status_code
    title = ERROR_TITLES.get(status, "That did not work")
    response.set_data(render_template("error.html", title=title, status=status, error=body["error"]))
    response.mimetype = "text/html"
    response.vary.add("Accept")
    return response


def page_response(template: str, **values: object) -> Response:
    """Render a page that depends on what is served now, so that it is not kept."""
    response = make_response(render_template(template, **values))
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept")
    return response
