"""The box's API, as a script of its administrator asks it."""

import http.client
import json
import ssl

ADMINISTRATOR = "admin"


class Refused(Exception):
    """The box did not do it."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(f"{status}: {problem}")
        self.status = status


class Web:
    """The API of a box whose certificate is its own: it is taken as it is."""

    def __init__(self, at: tuple[str, int]) -> None:
        self.at = at
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        """Asks, and gives back what it says; nothing for an empty answer."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(*self.at, timeout=60, context=context)
        headers = self.headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            connection.request(method, f"/api/v1{path}", json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(answer.status, text)
        cookie = answer.getheader("Set-Cookie")
        if cookie:
            self.headers["Cookie"] = cookie.split(";")[0]
        said: dict = json.loads(text) if text else {}
        return said

    def log_in(self, password: str) -> bool:
        """Whether the box takes the administrator's password by now."""
        self.headers = {}
        try:
            session = self.ask("POST", "/session", {"name": ADMINISTRATOR, "password": password})
        except (Refused, OSError):
            return False
        self.headers["X-CSRF-Token"] = session["csrf"]
        return True
