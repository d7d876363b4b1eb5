"""Human resources and social security: social security cards."""
