"""Files over REST. Up: ``files`` → ``receiving`` → the file store. Down: ``downloads`` → the file store.

The file store is :mod:`lanying.gateway.services.file_store`.

``files``       upload tickets and uploads
``receiving``   a form as it comes, onto the disk
``file_signs``  the sign in an address that lets its bearer up- or download
``downloads``   files, pictures in other sizes, ranges
"""
