// Starts Swagger UI on the API's description. A key that this tab keeps for the chat is used here, too.

import { keptKey } from "./api.js";

const ui = window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  defaultModelsExpandDepth: -1,
  onComplete: () => keptKey() && ui.preauthorizeApiKey("key", keptKey()),
});
