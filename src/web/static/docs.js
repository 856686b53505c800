// Starts Swagger UI on the API's description. It uses the key that this tab keeps.

import { keptKey } from "./api.js";

const ui = window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  defaultModelsExpandDepth: -1,
  onComplete: () => keptKey() && ui.preauthorizeApiKey("key", keptKey()),
});
