# %% [markdown]
# # A page whose data are not there

# %%
import nnx

raise nnx.errors.DownloadError("The digits cannot be fetched.\nWhat to do: ...")
