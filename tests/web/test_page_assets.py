"""How long a browser may keep what a page is made of."""

from src.app_factory import create_app
from src.config import Config
from src.web.pages import ONE_YEAR_S, get_assets_version
from tests.conftest import ROOMY


def test_asset_may_be_kept_under_its_own_address_only() -> None:
    """For a year where the address carries the hash of now; under an older one it is asked for again."""
    client = create_app(Config.from_env(ROOMY)).test_client()
    current, older = (client.get(f"/assets/{version}/icon.svg") for version in (get_assets_version(), "0" * 12))
    assert (current.cache_control.max_age, current.cache_control.immutable) == (ONE_YEAR_S, True)
    assert not older.cache_control.max_age
    assert not older.cache_control.immutable
    assert current.get_data() == older.get_data() != b""
    for response in (current, older):
        response.close()
