"""Turns the OpenAPI description into what the `/docs` page shows: operations by tag, each with a curl line."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

Description = dict[str, Any]
METHODS = ("get", "post")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body or a query string, in words."""

    name: str
    kind: str
    is_required: bool
    about: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Args:
        responses: status and meaning.
        curl: the command as a person would paste it.
    """

    anchor: str
    method: str
    path: str
    summary: str
    about: str
    fields: tuple[Field, ...]
    gives: tuple[Field, ...]
    responses: tuple[tuple[str, str], ...]
    curl: str


@dataclass(frozen=True, slots=True)
class Site:
    """What the curl lines are written for.

    Args:
        base_url: what they begin with, without a slash at the end.
        examples: values that suit this index better than the description's own, by parameter.
        has_key: whether the server asks for one.
    """

    base_url: str
    examples: Mapping[str, str]
    has_key: bool


def describe_api(api: Description, site: Site) -> list[tuple[str, list[Operation]]]:
    """Group the operations by their tag's description, in the order of the tags."""
    names = {tag["name"]: tag.get("description", tag["name"]) for tag in api.get("tags", [])}
    groups: dict[str, list[Operation]] = {tag: [] for tag in names}
    for path, methods in api["paths"].items():
        for method in METHODS:
            if method in methods:
                tag = methods[method].get("tags", ["other"])[0]
                groups.setdefault(tag, []).append(_operation(api, site, path, method))
    return [(names.get(tag, tag), operations) for tag, operations in groups.items() if operations]


def _operation(api: Description, site: Site, path: str, method: str) -> Operation:
    operation = api["paths"][path][method]
    parameters = [_resolve(api, item) for item in operation.get("parameters", [])]
    content = _json_content(operation.get("requestBody", {}))
    responses = {status: _resolve(api, item) for status, item in operation["responses"].items()}
    url = site.base_url + _filled(path, parameters, site.examples)
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        about=operation.get("description", ""),
        fields=tuple(_parameter_field(api, item) for item in parameters) + _fields(api, content.get("schema", {})),
        gives=_fields(api, _json_content(responses.get("200", {})).get("schema", {})),
        responses=tuple((status, item.get("description", "")) for status, item in responses.items()),
        curl=_curl(method, url, _example(content), _token(operation, site)),
    )


def _resolve(api: Description, value: Description) -> Description:
    while "$ref" in value:
        target: Any = api
        for name in value["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        value = target
    return value


def _json_content(holder: Description) -> Description:
    content = holder.get("content", {}).get("application/json", {})
    return content if isinstance(content, dict) else {}


def _fields(api: Description, schema: Description) -> tuple[Field, ...]:
    schema = _resolve(api, schema)
    required = schema.get("required", [])
    return tuple(
        Field(name, _kind(api, item), name in required, _resolve(api, item).get("description", ""))
        for name, item in schema.get("properties", {}).items()
    )


def _parameter_field(api: Description, parameter: Description) -> Field:
    about = parameter.get("description", "")
    return Field(parameter["name"], _kind(api, parameter["schema"]), parameter.get("required", False), about)


def _kind(api: Description, schema: Description) -> str:
    schema = _resolve(api, schema)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(api, item) for item in schema["anyOf"])
    kind = schema.get("type", "any")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if text == "array":
        return f"list of {_kind(api, schema.get('items', {}))}"
    return text + "".join(_bounds(schema))


def _bounds(schema: Description) -> Iterator[str]:
    for low, high, unit in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters")):
        if low in schema and high in schema:
            yield f", {schema[low]} to {schema[high]}{unit}"


def _example(content: Description) -> Any:
    examples = content.get("examples", {})
    return next((example["value"] for example in examples.values()), content.get("example"))


def _filled(path: str, parameters: list[Description], examples: Mapping[str, str]) -> str:
    query = {}
    for parameter in parameters:
        name = parameter["name"]
        example = examples.get(name, parameter.get("example"))
        if example is None:
            continue
        if parameter["in"] == "path":
            path = path.replace("{" + name + "}", quote(str(example)))
        else:
            query[name] = example
    return path + (f"?{urlencode(query)}" if query else "")


def _token(operation: Description, site: Site) -> str:
    security = operation.get("security")
    if security == [{"admin": []}]:
        return "$ADMIN_TOKEN"
    return "$API_KEY" if site.has_key and security != [{}] else ""


def _curl(method: str, url: str, body: Any, token: str) -> str:
    words = ["curl", "-sS", shlex.quote(url)]
    if token:
        words += ["-H", f'"Authorization: Bearer {token}"']
    if method == "post" and body is None:
        words += ["-X", "POST"]
    if body is not None:
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(json.dumps(body, ensure_ascii=False))]
    return " ".join(words)
