# %% [markdown]
# # A page that fails

# %%
assert 1 + 1 == 3, "what the page claims is wrong"
